// Command go-chat is the chat server of examples/chat in Go: a goroutine that reads and one that writes
// for each client, and a bounded channel between them.
//
// This file owns the process; client.go a client's two goroutines, room.go who is there and the fan-out.
package main

import (
	"flag"
	"fmt"
	"os"
	"rivals/common"
)

func main() {
	mode := flag.String("mode", "best-effort", "lossless or best-effort")
	arguments := common.ServerArguments()
	if *mode != "lossless" && *mode != "best-effort" {
		fmt.Fprintln(os.Stderr, "error: --mode is not lossless or best-effort")
		os.Exit(2)
	}
	common.EndOnSignal()
	listener := common.Listen("go-chat", arguments)
	room := newRoom(*mode == "lossless")
	for id := uint64(1); ; id++ {
		connection, err := listener.Accept()
		if err != nil {
			common.Fail(err)
		}
		// TCP_NODELAY is on by default.
		go serve(room, id, connection)
	}
}
