"""A whole cluster on one machine: network namespaces, real workers, real CNI plugins.

sandbox      own PID, mount and network namespaces; all of it ends with the program
topology     which nodes there are, as data
namespaces   one network namespace, held by a file descriptor
underlay     the wire between the nodes
processes    a program with a log file
control      the control plane's servers
node         one member: namespace, directories, worker
containers   a namespace on a network, by the CNI plugins
cluster      all of them together: what the demo, tests and benchmarks use
pings, rest  what scripts do with it: packets, requests
waiting      for a condition, with a limit
faults       what goes wrong, on purpose
demo         ``make demo``
enter        a command on a node of a lab that runs
clean        the directory on disk, and the sweep of those that killed labs left
"""
