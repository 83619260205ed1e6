"""What a person reads: frames, words, pictures, folders."""
