"""Signal: a linked device of the owner's account, through a signal-cli daemon."""
