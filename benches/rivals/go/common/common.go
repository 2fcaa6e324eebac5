// Package common is what the Go servers share: the command line, the first line and the end, as the
// other rivals have them. Nothing of this runs while something is measured.
package common

import (
	"flag"
	"fmt"
	"net"
	"os"
	"os/signal"
	"runtime"
	"syscall"
)

// Arguments are those of every server.
type Arguments struct {
	Listen  string
	Workers int
}

// ServerArguments reads the command line. A program defines its own options before.
func ServerArguments() Arguments {
	listen := flag.String("listen", "127.0.0.1:0", "address and port, port 0 lets the system choose")
	workers := flag.Int("workers", 1, "threads that run goroutines at once (GOMAXPROCS)")
	flag.Parse()
	if *workers < 1 || flag.NArg() > 0 {
		flag.Usage()
		os.Exit(2)
	}
	runtime.GOMAXPROCS(*workers)
	return Arguments{*listen, *workers}
}

// Listen listens and prints the first line. EndOnSignal or the program's own waiting comes before, so
// that whoever has read the line can end the server.
func Listen(name string, arguments Arguments) net.Listener {
	listener, err := net.Listen("tcp", arguments.Listen)
	if err != nil {
		Fail(err)
	}
	fmt.Printf("%s listening on %s\n", name, listener.Addr())
	return listener
}

// EndOnSignal lets SIGTERM and SIGINT end the process with 0.
func EndOnSignal() {
	stopped := StopSignals()
	go func() {
		<-stopped
		os.Exit(0)
	}()
}

// StopSignals tells of SIGTERM and SIGINT.
func StopSignals() <-chan os.Signal {
	stopped := make(chan os.Signal, 1)
	signal.Notify(stopped, syscall.SIGTERM, syscall.SIGINT)
	return stopped
}

// Fail prints one phrase and ends the process with 1.
func Fail(err error) {
	fmt.Fprintln(os.Stderr, "error:", err)
	os.Exit(1)
}
