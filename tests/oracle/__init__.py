"""An independent, slow second implementation of docs/worlds.md; see README.md."""
