"""The part of the benchmark that runs inside the application's processes: two sagas that only wait."""
