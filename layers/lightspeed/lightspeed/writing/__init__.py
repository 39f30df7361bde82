"""What a write needs: the record that it means, the difference that it makes, and what a lost answer means."""
