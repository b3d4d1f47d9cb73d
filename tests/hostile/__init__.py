"""Runs that a stranger made to do harm, and what they may do: be shown, or be refused in words."""
