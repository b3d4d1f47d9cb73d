"""What the pages share: tiles, downloads, tables, notices, the theme."""
