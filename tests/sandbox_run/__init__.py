"""The embedded servers, the supervised run, and the commands behind the make targets."""
