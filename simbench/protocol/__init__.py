"""The folder protocol: tasks and answers as files, one door for every contender that is no Python function."""
