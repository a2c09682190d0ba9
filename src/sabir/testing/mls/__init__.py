"""What tests of MLS share: the official vectors, and an independent peer."""
