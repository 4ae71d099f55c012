"""What is called while training runs: the base, the list, the history and the progress bar."""
