"""Coffee: a shop's listing read as coffee. `facts` is the way in; each other module reads one
kind of fact from a `passages.Page`."""
