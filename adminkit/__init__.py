"""What lists at the desk are made of, whichever app the rows belong to."""
