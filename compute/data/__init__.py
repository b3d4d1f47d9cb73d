"""Image sets for training and validation: built in, downloaded, or read from the user's folders and archives."""
