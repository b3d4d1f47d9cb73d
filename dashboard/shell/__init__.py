"""What surrounds every page: the URL, the sidebar, its controls and the list of pages."""
