"""Queue, workers and the life of the process. Knows no kind of object."""
