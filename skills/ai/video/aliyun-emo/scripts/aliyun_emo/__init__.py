"""The parts that the EMO programs are made of; nobody starts them."""
