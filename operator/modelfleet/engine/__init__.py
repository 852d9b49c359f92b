"""The loop: queue, worker, observe, turn, tick. Knows ports, not clients."""
