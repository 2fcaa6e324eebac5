package main

// One client: the goroutine that reads its lines, and the one that writes what the others said.

import (
	"bytes"
	"fmt"
	"net"
	"sync"
	"time"
)

const (
	welcome = "Welcome to LLAM chat. Type and press enter.\n"
	// What one read takes at most.
	readBytes = 8 * 1024
	// The rest of a longer line is thrown away.
	maxLineBytes = 4096
	// How long a client that has ended its input may take to read what is queued for it.
	drainLimit = 5 * time.Second
)

type client struct {
	id         uint64
	connection net.Conn
	outbox     chan []byte
	// Closed when nothing more is to be queued: releases senders that wait for room.
	closed chan struct{}
	once   sync.Once
}

func (client *client) close() { client.once.Do(func() { close(client.closed) }) }

// The goroutine that reads.
func serve(room *room, id uint64, connection net.Conn) {
	defer connection.Close()
	client := &client{
		id:         id,
		connection: connection,
		outbox:     make(chan []byte, outboxMessages),
		closed:     make(chan struct{}),
	}
	// A member before the greeting: who has read it misses nothing.
	others := room.join(client)
	written := make(chan struct{})
	go func() {
		client.write()
		close(written)
	}()
	room.broadcast(others, client, []byte(fmt.Sprintf("* client %d joined\n", id)))
	client.read(room)
	client.close()
	room.broadcast(room.leave(client), client, []byte(fmt.Sprintf("* client %d left\n", id)))
	select {
	case <-written:
	case <-time.After(drainLimit):
	}
}

// Broadcasts what the client types, up to the end of its input.
func (client *client) read(room *room) {
	prefix := []byte(fmt.Sprintf("[client %d] ", client.id))
	buffer := make([]byte, readBytes)
	line := make([]byte, 0, maxLineBytes)
	isCut := false
	keep := func(input []byte) {
		space := maxLineBytes - len(line)
		if len(input) > space {
			input, isCut = input[:space], true
		}
		line = append(line, input...)
	}
	emit := func() {
		text := line
		if !isCut && len(text) > 0 && text[len(text)-1] == '\r' {
			text = text[:len(text)-1]
		}
		message := make([]byte, 0, len(prefix)+len(text)+1)
		message = append(append(append(message, prefix...), text...), '\n')
		room.broadcast(room.list(), client, message)
		line, isCut = line[:0], false
	}
	for {
		length, err := client.connection.Read(buffer)
		input := buffer[:length]
		for {
			end := bytes.IndexByte(input, '\n')
			if end < 0 {
				break
			}
			keep(input[:end])
			emit()
			input = input[end+1:]
		}
		keep(input)
		if err != nil {
			if len(line) > 0 {
				emit()
			}
			return
		}
	}
}

// The goroutine that writes: greets, then writes what is queued, as much as there is with one system
// call, until the outbox is closed and empty.
func (client *client) write() {
	// Released whatever happens: nobody waits for room in the outbox of one who cannot be written to.
	defer client.close()
	if _, err := client.connection.Write([]byte(welcome)); err != nil {
		client.hangUp()
		return
	}
	batch := make(net.Buffers, 0, outboxMessages)
	for {
		batch = batch[:0]
		select {
		case message := <-client.outbox:
			batch = append(batch, message)
		case <-client.closed:
		}
		batch = client.more(batch)
		if len(batch) == 0 {
			break
		}
		// WriteTo consumes the slice that it is called on.
		rest := batch
		if _, err := rest.WriteTo(client.connection); err != nil {
			client.hangUp()
			return
		}
	}
	if connection, isTCP := client.connection.(*net.TCPConn); isTCP {
		// It fails when the peer is gone, and then there is nothing to end.
		_ = connection.CloseWrite()
	}
}

// Adds what else is in the outbox.
func (client *client) more(batch net.Buffers) net.Buffers {
	for len(batch) < outboxMessages {
		select {
		case message := <-client.outbox:
			batch = append(batch, message)
		default:
			return batch
		}
	}
	return batch
}

// Nothing can be written any more: the goroutine that reads has to find out.
func (client *client) hangUp() { _ = client.connection.Close() }
