// Command go-rt times the operations of Go's runtime, as llam-bench rt times those of llam.
//
// This file owns the command line, the rows, their repetition and the output: a JSON array. The rows are
// in rows.go, the memory rows, each in a process of its own, in memory.go.
package main

import (
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"rivals/common"
	"runtime"
	"strings"
	"time"
)

type row struct {
	Name string `json:"name"`
	// ns for an operation, or bytes for a task.
	Unit string `json:"unit"`
	// Operations, or tasks, in each run.
	Count uint64    `json:"count"`
	Runs  []float64 `json:"runs"`
}

type timedRow struct {
	name       string
	operations uint64
	run        func(uint64) timed
}

// One timed run of a row.
type timed struct {
	operations uint64
	elapsed    time.Duration
}

var timedRows = []timedRow{
	{"spawn-join", 1_000_000, spawnJoin},
	{"spawn-join-batch", 1_000_000, spawnJoinBatch},
	{"yield-2", 10_000_000, func(operations uint64) timed { return yieldAmong(2, operations) }},
	{"yield-10000", 10_000_000, func(operations uint64) timed { return yieldAmong(10_000, operations) }},
	{"channel-ping-pong", 1_000_000, pingPong},
	{"channel-stream", 5_000_000, stream},
	{"select-default", 5_000_000, selectDefault},
	{"mutex-contended", 1_000_000, mutexContended},
	{"sleep-100000", 100_000, sleepFanOut},
}

var memoryRows = []struct {
	name  string
	tasks uint64
}{
	{"parked-10000", 10_000},
	{"parked-100000", 100_000},
	{"parked-1000000", 1_000_000},
}

// The option --only, which can be given several times.
type texts []string

func (list *texts) String() string { return strings.Join(*list, ",") }

func (list *texts) Set(text string) error {
	*list = append(*list, text)
	return nil
}

func (list texts) choose(name string) bool {
	for _, text := range list {
		if strings.Contains(name, text) {
			return true
		}
	}
	return len(list) == 0
}

func main() {
	workers := flag.Int("workers", 1, "threads that run goroutines at once (GOMAXPROCS)")
	runs := flag.Int("runs", 5, "measured runs of each row, after one that is thrown away")
	divide := flag.Uint64("divide", 1, "divide all counts by this")
	parked := flag.Uint64("park", 0, "one run of a memory row with so many tasks in this process")
	var only texts
	flag.Var(&only, "only", "only rows whose name contains this")
	flag.Parse()
	if *workers < 1 || *runs < 1 || *divide < 1 || flag.NArg() > 0 {
		flag.Usage()
		os.Exit(2)
	}
	runtime.GOMAXPROCS(*workers)
	if *parked > 0 {
		fmt.Println(park(*parked))
		return
	}
	rows := []row{}
	// Memory first, while this process has no garbage to collect.
	memory := measureMemory(only, *workers, *runs, *divide)
	for _, row := range timedRows {
		if only.choose(row.name) {
			rows = append(rows, measure(row, atLeastOne(row.operations / *divide), *runs))
		}
	}
	text, err := json.Marshal(append(rows, memory...))
	if err != nil {
		common.Fail(err)
	}
	fmt.Println(string(text))
}

func atLeastOne(count uint64) uint64 {
	if count == 0 {
		return 1
	}
	return count
}

func measure(timed timedRow, operations uint64, runs int) row {
	count := timed.run(operations).operations
	measured := row{Name: timed.name, Unit: "ns"}
	for run := 0; run < runs; run++ {
		timed := timed.run(operations)
		count = timed.operations
		measured.Runs = append(measured.Runs, float64(timed.elapsed.Nanoseconds())/float64(count))
	}
	measured.Count = count
	return measured
}

// Ends the process when a row did not do what it should have done.
func check(holds bool, otherwise string) {
	if !holds {
		common.Fail(fmt.Errorf("a row failed its check: %s", otherwise))
	}
}
