"""`make demo`: two real servers, independent clients, one conversation across both."""
