"""Whether packets cross: echoes from bridge to bridge, through the routes and tunnels that are in use.

    Document, Host --targets--> Target --schedule--> Trial --echoes--> kernel
                                            ^           |
              Report <-- Probed, Pair <-----+-- verdict +

``targets``, ``schedule``, ``trial`` and ``verdict`` are pure, with the time given; ``icmp`` is what an
echo looks like, ``echoes`` and ``paths`` are the doors, ``prober`` the thread.
"""
