package main

// Who is there, and the fan-out. Called by the goroutines that read.

import (
	"runtime"
	"sync"
	"sync/atomic"
)

// Messages that an outbox holds before it is full.
const outboxMessages = 64

type room struct {
	// A []*client, replaced as a whole when somebody comes or goes: a broadcast takes no lock.
	members    atomic.Value
	changes    sync.Mutex
	isLossless bool
}

func newRoom(isLossless bool) *room {
	room := &room{isLossless: isLossless}
	room.members.Store([]*client{})
	return room
}

func (room *room) list() []*client { return room.members.Load().([]*client) }

// Adds a client and returns those who were there before.
func (room *room) join(client *client) []*client {
	room.changes.Lock()
	defer room.changes.Unlock()
	before := room.list()
	room.members.Store(append(before[:len(before):len(before)], client))
	return before
}

// Removes a client and returns those who are still there.
func (room *room) leave(leaving *client) []*client {
	room.changes.Lock()
	defer room.changes.Unlock()
	rest := make([]*client, 0, len(room.list()))
	for _, member := range room.list() {
		if member != leaving {
			rest = append(rest, member)
		}
	}
	room.members.Store(rest)
	return rest
}

// Offers a message to these members but the sender. Lossless waits for room, but not for a client that
// leaves; best effort drops what a full outbox cannot take, and lets the writers run once.
func (room *room) broadcast(members []*client, sender *client, message []byte) {
	for _, member := range members {
		if member == sender {
			continue
		}
		// A select with one case and a default is the cheap one.
		select {
		case member.outbox <- message:
			continue
		default:
		}
		if room.isLossless {
			select {
			case member.outbox <- message:
			case <-member.closed:
			}
		}
	}
	if !room.isLossless {
		runtime.Gosched()
	}
}
