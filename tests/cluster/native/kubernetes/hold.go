package main

import (
	"fmt"
	"os"
	"os/signal"
	"syscall"
)

// runHold is the first process of the cluster's process namespace. It says that the namespaces are
// ready and then only buries orphans. When it is killed the kernel kills everything else inside,
// and the mounts and interfaces go with the last process: nothing can be left behind.
func runHold() {
	changes := make(chan os.Signal, 16)
	signal.Notify(changes, syscall.SIGCHLD, syscall.SIGTERM)
	fmt.Println("holding")
	os.Stdout.Close()
	for change := range changes {
		if change == syscall.SIGTERM {
			return
		}
		for {
			pid, err := syscall.Wait4(-1, nil, syscall.WNOHANG, nil)
			if pid <= 0 && err != syscall.EINTR {
				break
			}
		}
	}
}
