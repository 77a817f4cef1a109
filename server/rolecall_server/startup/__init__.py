"""From settings to parts: what is checked, refused and put together before the server runs."""
