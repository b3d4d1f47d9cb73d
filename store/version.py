"""The version of Classprint: the packaging, `--version` of every command and the provenance of runs read it here."""

VERSION = "1.0.0"
