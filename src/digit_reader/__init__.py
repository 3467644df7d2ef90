"""A digit reader, from raw files to a service: the project of the handbook's last part.

The four lessons of the part build it function by function; these are the same functions. The
modules stand in the order of the work: :mod:`raw` writes the scans that the work starts from,
:mod:`data` checks and splits them, :mod:`training` trains, :mod:`evaluation` asks what the network
can do and when it should not answer, :mod:`service` answers over HTTP. ``python -m digit_reader``
does all of it.
"""
