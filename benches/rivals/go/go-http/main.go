// Command go-http is the plaintext answer from Go's net/http.
package main

import (
	"net/http"
	"rivals/common"
	"runtime/debug"
)

// Each request allocates; at the default of 100 the small live heap is collected very often. Costs at most
// five times the live heap, which is small here.
const garbagePercent = 400

var (
	body = []byte("Hello, World!")
	// Whole values: setting these does not allocate.
	server      = []string{"Go"}
	contentType = []string{"text/plain"}
	length      = []string{"13"}
)

func main() {
	arguments := common.ServerArguments()
	debug.SetGCPercent(garbagePercent)
	common.EndOnSignal()
	listener := common.Listen("go-http", arguments)
	mux := http.NewServeMux()
	mux.HandleFunc("/plaintext", plaintext)
	common.Fail(http.Serve(listener, mux))
}

func plaintext(answer http.ResponseWriter, _ *http.Request) {
	header := answer.Header()
	header["Server"] = server
	header["Content-Type"] = contentType
	header["Content-Length"] = length
	// A peer that is gone ends its connection only.
	_, _ = answer.Write(body)
}
