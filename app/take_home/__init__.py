"""What people take home: facts in force, and the files made of them."""
