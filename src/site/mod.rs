//! Where the work happens: on this machine, through the Docker Engine, in a job container.
