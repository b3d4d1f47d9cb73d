"""What several pages share: tiles, downloads, notices, the theme."""
