package main

import (
	"os"
	"time"

	bolt "go.etcd.io/bbolt"
)

const lockTimeout = 5 * time.Second

// runForget removes every container of an earlier cluster from containerd's database, given as the
// only argument, and keeps the images. It runs before containerd starts, so that a killed cluster
// costs the next one nothing; containerd collects the orphaned snapshots by itself.
func runForget() {
	database, err := bolt.Open(os.Args[1], 0o600, &bolt.Options{Timeout: lockTimeout})
	must(err)
	must(database.Update(func(transaction *bolt.Tx) error {
		version := transaction.Bucket([]byte("v1"))
		if version == nil {
			return nil
		}
		return version.ForEachBucket(func(namespace []byte) error {
			for _, kind := range []string{"containers", "sandboxes", "leases"} {
				err := version.Bucket(namespace).DeleteBucket([]byte(kind))
				if err != nil && err != bolt.ErrBucketNotFound {
					return err
				}
			}
			return nil
		})
	}))
	must(database.Close())
}
