"""The studio: runs, training and trained networks in the browser, served by this machine to itself alone."""
