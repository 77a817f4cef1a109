"""The `rolecall` command. Each subcommand imports its side of the system lazily."""
