// A chat room behind the connection tier: the gateway holds the WebSockets, this program only answers HTTP.
//
//	PORT=9000 TIER=http://127.0.0.1:9100 SECRET=... go run chat.go
package main

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/url"
	"os"
	"regexp"
	"strconv"
	"time"
)

var (
	secret = []byte(os.Getenv("SECRET"))
	tier   = os.Getenv("TIER")
	header = regexp.MustCompile(`^t=(\d{1,15}),v1=([0-9a-f]{64})$`)
)

type event struct {
	Type       string `json:"type"`
	Connection string `json:"connection"`
	URL        string `json:"url"`
	User       string `json:"user"`
	Data       any    `json:"data"`
}

func signature(method, path string, body []byte, at string) string {
	mac := hmac.New(sha256.New, secret)
	fmt.Fprintf(mac, "%s.%s.%s.", at, method, path)
	mac.Write(body)
	return hex.EncodeToString(mac.Sum(nil))
}

// isSigned says whether the call was made with the secret in the last five minutes.
func isSigned(method, path string, body []byte, given string) bool {
	fields := header.FindStringSubmatch(given)
	if fields == nil {
		return false
	}
	at, err := strconv.ParseInt(fields[1], 10, 64)
	if err != nil || time.Since(time.UnixMilli(at)).Abs() > 5*time.Minute {
		return false
	}
	return hmac.Equal([]byte(signature(method, path, body, fields[1])), []byte(fields[2]))
}

// call asks the tier for something: /publish, /send, /broadcast, /connections/ID/send ...
func call(path string, message any) error {
	body, err := json.Marshal(message)
	if err != nil {
		return err
	}
	request, err := http.NewRequest(http.MethodPost, tier+path, bytes.NewReader(body))
	if err != nil {
		return err
	}
	at := strconv.FormatInt(time.Now().UnixMilli(), 10)
	request.Header.Set("Evenkeel-Signature", "t="+at+",v1="+signature(http.MethodPost, path, body, at))
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		return fmt.Errorf("%s: %s", path, answer.Status)
	}
	return nil
}

// handle answers one event with a status and what goes into the body.
func handle(e event) (int, any) {
	switch e.Type {
	case "connected":
		at, err := url.Parse(e.URL)
		if err != nil || at.Query().Get("user") == "" {
			return http.StatusUnauthorized, nil
		}
		return http.StatusOK, map[string]any{"user": at.Query().Get("user"), "topics": []string{"room"}}
	case "message":
		if err := call("/publish", map[string]any{"topic": "room", "data": map[string]any{"from": e.User, "text": e.Data}}); err != nil {
			log.Print(err)
			return http.StatusInternalServerError, nil
		}
		return http.StatusOK, map[string]any{"send": []any{map[string]any{"data": "sent"}}}
	case "disconnected":
		if err := call("/publish", map[string]any{"topic": "room", "data": map[string]any{"left": e.User}}); err != nil {
			log.Print(err)
		}
		return http.StatusNoContent, nil
	default:
		// Events that this program does not know are none of its business: authorize, say.
		return http.StatusOK, nil
	}
}

func hook(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, 1<<21))
	var e event
	if err != nil || !isSigned(r.Method, r.URL.RequestURI(), body, r.Header.Get("Evenkeel-Signature")) || json.Unmarshal(body, &e) != nil {
		w.WriteHeader(http.StatusUnauthorized)
		return
	}
	status, answer := handle(e)
	w.WriteHeader(status)
	if answer != nil {
		if err := json.NewEncoder(w).Encode(answer); err != nil {
			log.Print(err)
		}
	}
}

func main() {
	port := os.Getenv("PORT")
	if port == "" {
		port = "9000"
	}
	listener, err := net.Listen("tcp", "127.0.0.1:"+port)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Printf("listening on %d\n", listener.Addr().(*net.TCPAddr).Port)
	log.Fatal(http.Serve(listener, http.HandlerFunc(hook)))
}
