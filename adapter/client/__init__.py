"""What a program uses: one core that does no I/O, and two clients that drive it."""
