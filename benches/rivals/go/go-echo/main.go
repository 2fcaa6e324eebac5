// Command go-echo is echo on Go's net: a goroutine per connection, a Read and a Write with one buffer.
package main

import (
	"net"
	"rivals/common"
)

// As in the other echo servers. Read and Write use the buffer as it is; io.Copy would splice.
const bufferBytes = 4096

func main() {
	arguments := common.ServerArguments()
	common.EndOnSignal()
	listener := common.Listen("go-echo", arguments)
	for {
		connection, err := listener.Accept()
		if err != nil {
			common.Fail(err)
		}
		// TCP_NODELAY is on by default.
		go echo(connection)
	}
}

// A peer that is gone ends its connection only.
func echo(connection net.Conn) {
	defer connection.Close()
	buffer := make([]byte, bufferBytes)
	for {
		length, err := connection.Read(buffer)
		if err != nil {
			return
		}
		if _, err := connection.Write(buffer[:length]); err != nil {
			return
		}
	}
}
