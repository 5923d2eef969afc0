"""The helper processes: they read, stretch, import and export what clients name, under limits of time and memory."""
