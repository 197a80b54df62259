"""What the sample lab is made from: analysts, phrases, and the code that sets their talk over the bundled bars."""
