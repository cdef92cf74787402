"""`make torture`: break something at a random moment while a video is made, and see that nothing is lost."""
