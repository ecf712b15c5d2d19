"""What no code can beat: closed forms and a certified solver."""
