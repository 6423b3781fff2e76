"""What an operator gets wrong, looked at from outside: each module has one subject, and its verdicts are pure.

Nothing here changes anything: no file is made, no lock is kept, nothing is pushed.
"""
