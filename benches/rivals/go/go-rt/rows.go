package main

// The timed rows. Each fails when what it did is not what it should have done.

import (
	"runtime"
	"sync"
	"sync/atomic"
	"time"
)

const (
	batchTasks     = 10_000
	streamCapacity = 128
	mutexTasks     = 8
	longestSleep   = 10
)

func sumBelow(count uint64) uint64 { return count * (count - 1) / 2 }

// A goroutine has no result: it is written to a variable before the WaitGroup tells.
func spawnJoin(operations uint64) timed {
	start := time.Now()
	var sum uint64
	for number := uint64(0); number < operations; number++ {
		number := number
		var result uint64
		var ended sync.WaitGroup
		ended.Add(1)
		go func() {
			result = number
			ended.Done()
		}()
		ended.Wait()
		sum += result
	}
	elapsed := time.Since(start)
	check(sum == sumBelow(operations), "every task returns its number")
	return timed{operations, elapsed}
}

func spawnJoinBatch(operations uint64) timed {
	start := time.Now()
	var sum uint64
	for next := uint64(0); next < operations; {
		end := next + batchTasks
		if end > operations {
			end = operations
		}
		results := make([]uint64, end-next)
		var ended sync.WaitGroup
		ended.Add(len(results))
		for number := next; number < end; number++ {
			number, result := number, &results[number-next]
			go func() {
				*result = number
				ended.Done()
			}()
		}
		ended.Wait()
		for _, result := range results {
			sum += result
		}
		next = end
	}
	elapsed := time.Since(start)
	check(sum == sumBelow(operations), "every task returns its number")
	return timed{operations, elapsed}
}

// Tasks that do nothing but yield. The clock starts when all of them run.
func yieldAmong(tasks int, operations uint64) timed {
	rounds := atLeastOne(operations / uint64(tasks))
	var running, done uint64
	var isOpen uint32
	var ended sync.WaitGroup
	ended.Add(tasks)
	for task := 0; task < tasks; task++ {
		go func() {
			atomic.AddUint64(&running, 1)
			for atomic.LoadUint32(&isOpen) == 0 {
				runtime.Gosched()
			}
			for round := uint64(0); round < rounds; round++ {
				runtime.Gosched()
			}
			atomic.AddUint64(&done, rounds)
			ended.Done()
		}()
	}
	for atomic.LoadUint64(&running) < uint64(tasks) {
		runtime.Gosched()
	}
	start := time.Now()
	atomic.StoreUint32(&isOpen, 1)
	ended.Wait()
	elapsed := time.Since(start)
	check(done == rounds*uint64(tasks), "every task has yielded")
	return timed{done, elapsed}
}

func pingPong(operations uint64) timed {
	pings, pongs := make(chan uint64, 1), make(chan uint64, 1)
	ended := make(chan struct{})
	go func() {
		for number := range pings {
			pongs <- number + 1
		}
		close(ended)
	}()
	start := time.Now()
	for number := uint64(0); number < operations; number++ {
		pings <- number
		check(<-pongs == number+1, "the answer to another value")
	}
	elapsed := time.Since(start)
	close(pings)
	<-ended
	return timed{operations, elapsed}
}

func stream(operations uint64) timed {
	values := make(chan uint64, streamCapacity)
	start := time.Now()
	go func() {
		for number := uint64(0); number < operations; number++ {
			values <- number
		}
		close(values)
	}()
	var expected uint64
	for number := range values {
		check(number == expected, "a value out of order")
		expected++
	}
	elapsed := time.Since(start)
	check(expected == operations, "values are missing")
	return timed{operations, elapsed}
}

func selectDefault(operations uint64) timed {
	first, second := make(chan uint64, 1), make(chan uint64, 1)
	start := time.Now()
	var defaults uint64
	for number := uint64(0); number < operations; number++ {
		select {
		case <-first:
		case <-second:
		default:
			defaults++
		}
	}
	elapsed := time.Since(start)
	check(defaults == operations, "nothing can be received")
	return timed{operations, elapsed}
}

// The holder yields, so that the others find the mutex locked.
func mutexContended(operations uint64) timed {
	each := atLeastOne(operations / mutexTasks)
	var count uint64
	var lock sync.Mutex
	var ended sync.WaitGroup
	ended.Add(mutexTasks)
	start := time.Now()
	for task := 0; task < mutexTasks; task++ {
		go func() {
			for number := uint64(0); number < each; number++ {
				lock.Lock()
				before := count
				runtime.Gosched()
				count = before + 1
				lock.Unlock()
			}
			ended.Done()
		}()
	}
	ended.Wait()
	elapsed := time.Since(start)
	check(count == each*mutexTasks, "an increment was lost")
	return timed{count, elapsed}
}

// The longest sleeper sets a floor of 10 ms for the whole: 100 ns for each of 100,000.
func sleepFanOut(operations uint64) timed {
	start := time.Now()
	var inTime uint64
	var ended sync.WaitGroup
	ended.Add(int(operations))
	for number := uint64(0); number < operations; number++ {
		sleep := time.Duration(1+number%longestSleep) * time.Millisecond
		go func() {
			began := time.Now()
			time.Sleep(sleep)
			if time.Since(began) >= sleep {
				atomic.AddUint64(&inTime, 1)
			}
			ended.Done()
		}()
	}
	ended.Wait()
	elapsed := time.Since(start)
	check(inTime == operations, "nobody wakes early")
	return timed{operations, elapsed}
}
