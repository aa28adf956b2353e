// What any program does, with github.com/opensearch-project/opensearch-go.
package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"

	"github.com/opensearch-project/opensearch-go/v4"
	"github.com/opensearch-project/opensearch-go/v4/opensearchapi"
)

type task struct {
	URL       string            `json:"url"`
	Index     string            `json:"index"`
	K         int               `json:"k"`
	Query     json.RawMessage   `json:"query"`
	Documents []json.RawMessage `json:"documents"`
}

func must(err error) {
	if err != nil {
		panic(err)
	}
}

func main() {
	var given task
	content, err := os.ReadFile(os.Args[1])
	must(err)
	must(json.Unmarshal(content, &given))
	client, err := opensearchapi.NewClient(opensearchapi.Config{
		Client: opensearch.Config{Addresses: []string{given.URL}},
	})
	must(err)
	ctx, said := context.Background(), map[string]any{}
	body := []byte(fmt.Sprintf(`{"query": %s}`, given.Query))

	search := func(params opensearchapi.SearchParams) []string {
		found, err := client.Search(ctx, &opensearchapi.SearchReq{
			Indices: []string{given.Index}, Body: bytes.NewReader(body), Params: params,
		})
		must(err)
		ids := []string{}
		for _, hit := range found.Hits.Hits {
			ids = append(ids, hit.ID)
		}
		return ids
	}

	_, err = client.Index(ctx, opensearchapi.IndexReq{
		Index: given.Index, DocumentID: "one", Body: bytes.NewReader(given.Documents[0]),
		Params: opensearchapi.IndexParams{Refresh: "true"},
	})
	must(err)
	var lines bytes.Buffer
	for _, document := range given.Documents {
		var named struct{ Name string }
		must(json.Unmarshal(document, &named))
		fmt.Fprintf(&lines, "{\"index\": {\"_id\": %q}}\n%s\n", named.Name, document)
	}
	bulk, err := client.Bulk(ctx, opensearchapi.BulkReq{
		Index: given.Index, Body: &lines, Params: opensearchapi.BulkParams{Refresh: "true"},
	})
	must(err)
	failed := 0
	for _, item := range bulk.Items {
		for _, one := range item {
			if one.Error != nil {
				failed++
			}
		}
	}
	said["bulk"] = []int{len(bulk.Items) - failed, failed}
	said["searched"] = search(opensearchapi.SearchParams{})
	paged := []string{}
	for from := 0; from < given.K; from += 3 {
		size, start := 3, from
		paged = append(paged, search(opensearchapi.SearchParams{From: &start, Size: &size})...)
	}
	said["paged"] = paged
	_, err = client.Search(ctx, &opensearchapi.SearchReq{
		Indices: []string{given.Index},
		Body:    bytes.NewReader([]byte(`{"query": {"meta4_similar": {"nothing": {"id": "x"}}}}`)),
	})
	var refused *opensearch.StructError
	if errors.As(err, &refused) {
		said["error"] = []any{refused.Status, refused.Err.Type}
	}
	written, err := json.Marshal(said)
	must(err)
	fmt.Println(string(written))
}
