// Command pause is the first process of every pod of the local cluster: it holds the pod's
// namespaces open and ends at once when asked. It does nothing else.
package main

import (
	"os"
	"os/signal"
	"syscall"
)

func main() {
	stop := make(chan os.Signal, 1)
	signal.Notify(stop, syscall.SIGINT, syscall.SIGTERM)
	<-stop
}
