"""The commands `onecert pmi …`."""
