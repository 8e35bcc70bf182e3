"""The application: the commands, and what joins the speech packages to the tuner."""
