// Verifies an exported audit log with Go's implementation of the formats: golang.org/x/mod/sumdb/{note,tlog}.
//
// usage: log VKEY EXPORT [CHECKPOINT | PROOF]...
//
// Every tile is authenticated against the signed root, every entry against its tile and by an inclusion proof, every
// older checkpoint by a consistency proof, every proof (c2sp.org/tlog-proof) against the entry it is of.
package main

import (
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"log"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

type directory string

// path names a tile as C2SP does: Go's names have the height behind "tile/" and say "data" for entries.
func (d directory) path(tile tlog.Tile) string {
	return filepath.Join(string(d), strings.NewReplacer("tile/8/data/", "tile/entries/", "tile/8/", "tile/").Replace(tile.Path()))
}

func (d directory) Height() int { return 8 }

func (d directory) ReadTiles(tiles []tlog.Tile) ([][]byte, error) {
	var all [][]byte
	for _, tile := range tiles {
		data, err := os.ReadFile(d.path(tile))
		if err != nil {
			return nil, err
		}
		all = append(all, data)
	}
	return all, nil
}

func (d directory) SaveTiles([]tlog.Tile, [][]byte) {}

// entries reads the bundle beside each tile of leaves.
func (d directory) entries(size int64) [][]byte {
	var entries [][]byte
	for n := int64(0); n*256 < size; n++ {
		width := int(min64(256, size-n*256))
		data, err := os.ReadFile(d.path(tlog.Tile{H: 8, L: -1, N: n, W: width}))
		check(err)
		for i := 0; i < width; i++ {
			length := int(binary.BigEndian.Uint16(data))
			entries = append(entries, data[2:2+length])
			data = data[2+length:]
		}
		if len(data) != 0 {
			log.Fatalf("bundle %d has more than its %d entries", n, width)
		}
	}
	return entries
}

func min64(a, b int64) int64 {
	if a < b {
		return a
	}
	return b
}

func check(err error) {
	if err != nil {
		log.Fatal(err)
	}
}

func hash(text string) tlog.Hash {
	hash, err := tlog.ParseHash(text)
	check(err)
	return hash
}

// checkpoint verifies a signed checkpoint.
func checkpoint(text []byte, verifier note.Verifier) tlog.Tree {
	signed, err := note.Open(text, note.VerifierList(verifier))
	check(err)
	lines := strings.Split(signed.Text, "\n")
	if len(lines) != 4 || lines[0] != verifier.Name() || lines[3] != "" {
		log.Fatalf("not a checkpoint of %s: %q", verifier.Name(), signed.Text)
	}
	size, err := strconv.ParseInt(lines[1], 10, 64)
	check(err)
	return tlog.Tree{N: size, Hash: hash(lines[2])}
}

// proof verifies one entry's inclusion from what the log printed.
func proof(text string, verifier note.Verifier, entries [][]byte) {
	head, signed, _ := strings.Cut(text, "\n\n")
	lines := strings.Split(head, "\n")
	index, err := strconv.ParseInt(strings.TrimPrefix(lines[1], "index "), 10, 64)
	check(err)
	var hashes tlog.RecordProof
	for _, line := range lines[2:] {
		hashes = append(hashes, hash(line))
	}
	tree := checkpoint([]byte(signed), verifier)
	check(tlog.CheckRecord(hashes, tree.N, tree.Hash, index, tlog.RecordHash(entries[index])))
}

func main() {
	log.SetFlags(0)
	verifier, err := note.NewVerifier(os.Args[1])
	check(err)
	export := directory(os.Args[2])
	text, err := os.ReadFile(filepath.Join(string(export), "checkpoint"))
	check(err)
	tree := checkpoint(text, verifier)
	hashes := tlog.TileHashReader(tree, export)
	entries := export.entries(tree.N)

	var stored []tlog.Hash
	for i, entry := range entries {
		own, err := tlog.StoredHashes(int64(i), entry, tlog.HashReaderFunc(func(indexes []int64) ([]tlog.Hash, error) {
			var found []tlog.Hash
			for _, index := range indexes {
				found = append(found, stored[index])
			}
			return found, nil
		}))
		check(err)
		stored = append(stored, own...)
		path, err := tlog.ProveRecord(tree.N, int64(i), hashes)
		check(err)
		check(tlog.CheckRecord(path, tree.N, tree.Hash, int64(i), tlog.RecordHash(entry)))
	}
	root, err := tlog.TreeHash(tree.N, tlog.HashReaderFunc(func(indexes []int64) ([]tlog.Hash, error) {
		var found []tlog.Hash
		for _, index := range indexes {
			found = append(found, stored[index])
		}
		return found, nil
	}))
	check(err)
	if root != tree.Hash {
		log.Fatal("the root is not that of the entries")
	}
	for _, path := range os.Args[3:] {
		text, err := os.ReadFile(path)
		check(err)
		if strings.HasPrefix(string(text), "c2sp.org/tlog-proof@v1\n") {
			proof(string(text), verifier, entries)
			continue
		}
		old := checkpoint(text, verifier)
		path, err := tlog.ProveTree(tree.N, old.N, hashes)
		check(err)
		check(tlog.CheckTree(path, tree.N, tree.Hash, old.N, old.Hash))
	}
	fmt.Println(tree.N, base64.StdEncoding.EncodeToString(tree.Hash[:]))
}
