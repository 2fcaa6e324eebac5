package main

// The memory rows: what a parked task keeps resident. Each run is a process of its own: what an earlier
// run left behind would make the next one look cheap.

import (
	"os"
	"os/exec"
	"rivals/common"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// How long all tasks may take to park, and how often it is looked at.
const (
	parkLimit = 300 * time.Second
	parkLook  = time.Millisecond
)

func measureMemory(only texts, workers int, runs int, divide uint64) []row {
	var rows []row
	for _, memory := range memoryRows {
		if !only.choose(memory.name) {
			continue
		}
		tasks := atLeastOne(memory.tasks / divide)
		measured := row{Name: memory.name, Unit: "bytes", Count: tasks}
		for run := 0; run < runs; run++ {
			measured.Runs = append(measured.Runs, parkInOwnProcess(workers, tasks))
		}
		rows = append(rows, measured)
	}
	return rows
}

func parkInOwnProcess(workers int, tasks uint64) float64 {
	program, err := os.Executable()
	if err != nil {
		common.Fail(err)
	}
	command := exec.Command(program,
		"--workers", strconv.Itoa(workers), "--park", strconv.FormatUint(tasks, 10))
	command.Stderr = os.Stderr
	output, err := command.Output()
	if err != nil {
		common.Fail(err)
	}
	each, err := strconv.ParseFloat(strings.TrimSpace(string(output)), 64)
	if err != nil {
		common.Fail(err)
	}
	return each
}

// Parks tasks on a channel and tells by how many bytes each makes the process grow.
func park(tasks uint64) float64 {
	before := residentBytes()
	closing := make(chan struct{}, 1)
	var parked, closed uint64
	var ended sync.WaitGroup
	ended.Add(int(tasks))
	for task := uint64(0); task < tasks; task++ {
		go func() {
			atomic.AddUint64(&parked, 1)
			if _, isOpen := <-closing; !isOpen {
				atomic.AddUint64(&closed, 1)
			}
			ended.Done()
		}()
	}
	end := time.Now().Add(parkLimit)
	for atomic.LoadUint64(&parked) < tasks {
		check(time.Now().Before(end), "not all tasks park in time")
		time.Sleep(parkLook)
	}
	after := residentBytes()
	close(closing)
	ended.Wait()
	check(closed == tasks, "every task waits until the channel is closed")
	if after < before {
		return 0
	}
	return float64(after-before) / float64(tasks)
}

func residentBytes() uint64 {
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		common.Fail(err)
	}
	for _, line := range strings.Split(string(status), "\n") {
		if words := strings.Fields(line); len(words) > 1 && words[0] == "VmRSS:" {
			kib, err := strconv.ParseUint(words[1], 10, 64)
			if err != nil {
				common.Fail(err)
			}
			return kib * 1024
		}
	}
	check(false, "VmRSS is there")
	return 0
}
