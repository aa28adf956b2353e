"""What is read from files, and what a load keeps in one."""
