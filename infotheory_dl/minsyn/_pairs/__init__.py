"""What the command of this room finds in a table, and how it is told: in the terminal, as tables, as a page."""
